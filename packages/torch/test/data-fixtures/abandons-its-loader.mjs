// A program that stops reading and does not close anything: it must end all the same.
import { data } from "@levin/torch";

const loader = new data.DataLoader([0, 1, 2, 3], { numWorkers: 2, persistentWorkers: true });
const iterator = loader.iterate();
console.log((await iterator.next()).value.item());
console.log(iterator.nextSync().value.item());
