/**
 * Notices silence: a stream that a reader waits on and that says nothing for too long. It counts only while the reader
 * waits for the next message (a reader who does not read is not a server that does not write). The timer is not started
 * anew for every message, which would cost more than the message: it looks, when it fires, how long is left.
 */
export class Watchdog {
  #deadline: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #firesAt = 0;

  constructor(private readonly onSilence: () => void) {}

  /** A wait begins; it may last this many milliseconds. */
  wait(ms: number): void {
    this.#deadline = performance.now() + ms;
    if (this.#timer === undefined || this.#deadline < this.#firesAt) this.#start(ms);
  }

  /** The wait is over. */
  heard(): void {
    this.#deadline = undefined;
  }

  /** No more waits. */
  stop(): void {
    this.#deadline = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #start(ms: number): void {
    clearTimeout(this.#timer);
    this.#firesAt = performance.now() + ms;
    this.#timer = setTimeout(() => this.#look(), ms);
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#deadline === undefined) return;
    const left = this.#deadline - performance.now();
    if (left > 0) this.#start(left);
    else this.onSilence();
  }
}
