/** The part that is used here of a package without types. */
declare module "node-zookeeper-client" {
  interface Client {
    once(event: "connected", listener: () => void): void
    connect(): void
    close(): void
    getData(path: string, callback: (error: Error | null) => void): void
    setData(path: string, data: Buffer, callback: (error: Error | null) => void): void
  }
  const zookeeper: {
    createClient(connectString: string, options: { readonly sessionTimeout: number }): Client
  }
  export default zookeeper
}
