import type {
  MediaRelay,
  MediaSession,
  MediaSessionEvents,
  MediaTap,
} from '../../src/media/media-contract.ts';

/** A relay that moves no packets: it writes down what it was told and marks what it rewrote. */
export class FakeMediaRelay implements MediaRelay {
  /** In order, over all sessions: `offer caller 0`, `settle 1`, `close`. */
  readonly told: string[] = [];
  readonly events: MediaSessionEvents[] = [];
  readonly stats: MediaRelay['stats'] = {
    sessions: 0,
    legs: 0,
    portsInUse: 0,
    packets: 0,
    bytes: 0,
    droppedStrangers: 0,
    droppedUndeliverable: 0,
    forwarder: 'dgram',
    kernelPackets: 0,
    restarts: 0,
  };

  createSession(id: string, events: MediaSessionEvents): MediaSession {
    this.events.push(events);
    return {
      id,
      rewrite: (_sdp, kind, from, branch, facingSender, facingReceiver) => {
        this.told.push(`${kind} ${from} ${branch}`);
        return `anchored ${facingSender.advertisedAddress} ${facingReceiver.advertisedAddress}`;
      },
      rollBack: (branch, party) => this.told.push(`roll back ${party} ${branch}`),
      dropBranch: (branch) => this.told.push(`drop ${branch}`),
      attach: () => this.told.push('attach'),
      noteDigit: ({ party, digit }) => this.told.push(`digit ${party} ${digit}`),
      settle: (branch) => this.told.push(`settle ${branch}`),
      snapshot: () => [],
      close: () => this.told.push('close'),
    };
  }

  follow(): void {}

  configure(): void {}

  openTap(): MediaTap {
    let recording = false;
    return {
      get recording() {
        return recording;
      },
      record: ({ reason }) => {
        recording = true;
        this.told.push(`record ${reason}`);
      },
      stopRecording: () => {
        recording = false;
        this.told.push('stop recording');
      },
      watchDigits: (kind) => this.told.push(`watch ${kind}`),
      message: (_source, _destination, text) => this.told.push(`message ${text.slice(0, text.indexOf(' '))}`),
      end: () => {
        this.told.push('end tap');
        return Promise.resolve();
      },
    };
  }

  /** What was told since the last call. */
  take(): string[] {
    return this.told.splice(0);
  }

  eachSession(): [] {
    return [];
  }

  sessions(): [] {
    return [];
  }

  protect(): void {}

  flush(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
