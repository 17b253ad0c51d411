/** Which turn of the event loop this is: what happens in one has no chance to be told apart by an application. */

let turn = 1;
let turnEnds = false;

/** A number for this turn of the event loop. */
export function currentTurn(): number {
  if (!turnEnds) {
    turnEnds = true;
    setImmediate(() => {
      turnEnds = false;
      turn += 1;
    });
  }
  return turn;
}
