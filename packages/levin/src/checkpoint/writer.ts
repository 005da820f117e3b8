// The thread of AsyncCheckpointIO: writes the checkpoints that it is posted, one after the other.
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { parentPort } from "node:worker_threads";
import { serialization } from "@levin/torch";
import { fromPosted, type PostedCheckpoint, type WriterAnswer } from "./background.js";

parentPort!.on("message", (posted: PostedCheckpoint) => {
  let answer: WriterAnswer = null;
  try {
    mkdirSync(dirname(posted.path), { recursive: true });
    serialization.save(fromPosted(posted), posted.path);
  } catch (error) {
    answer = { message: error instanceof Error ? error.message : String(error) };
  }
  parentPort!.postMessage(answer);
});
