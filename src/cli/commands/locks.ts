/** `zk locks`: what is to be seen and done about locks from outside. */
import * as Command from "effect/cli/Command"
import { locksClear } from "./locksClear.ts"
import { locksList } from "./locksList.ts"
import { locksShow } from "./locksShow.ts"

export const locks = Command.make("locks").pipe(
  Command.withDescription("Looks after locks and semaphores: those of our programs, of Curator, kazoo and zktools."),
  Command.withShortDescription("List, show and clear locks"),
  Command.withSubcommands([locksList, locksShow, locksClear])
)
