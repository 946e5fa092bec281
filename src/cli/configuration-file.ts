import type { Document, LineCounter, Node } from 'yaml';
import { type AnyOption, keyOf } from './option.ts';
import { optionList } from './options.ts';
import type { Refuse } from './static-section.ts';
import { didYouMean } from './suggestion.ts';
import { UsageError } from './usage-error.ts';

/** Texts from the file, each with the place to name where it cannot be used. */
export interface FileEntry {
  /** `/etc/cloudsip.yaml:7: rtp-ports`. */
  readonly origin: string;
  readonly text: string;
}

/** What the configuration file says. */
export interface FileValues {
  readonly texts: ReadonlyMap<AnyOption, readonly FileEntry[]>;
  /** The sections, read. */
  readonly sections: ReadonlyMap<AnyOption, unknown>;
}

const byKey: ReadonlyMap<string, AnyOption> = new Map(
  optionList.flatMap((option) => {
    const key = keyOf(option);
    return key === undefined ? [] : [[key, option] as const];
  }),
);

/** Reads the YAML `text` of the file `path`. Throws a `UsageError` that names file, line and key. */
export async function parseConfigurationFile(path: string, text: string): Promise<FileValues> {
  // Loaded only here: most agents run without a file, and the parser costs 50 ms of the start.
  const yaml = await import('yaml');
  const lines = new yaml.LineCounter();
  const document = yaml.parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const texts = new Map<AnyOption, FileEntry[]>();
  const sections = new Map<AnyOption, unknown>();
  const fault = document.errors[0];
  if (fault) throw refused(`${path}:${lines.linePos(fault.pos[0]).line}: not YAML: ${fault.message}`);
  const { contents } = document;
  if (contents === null || (yaml.isScalar(contents) && contents.value === null)) return { texts, sections };
  if (!yaml.isMap<Node, Node | null>(contents)) {
    throw refused(
      `${path}:${lineOf(contents, lines)}: expected lines such as 'log-level: debug', got "${text.trim().slice(0, 60)}"`,
    );
  }

  for (const { key, value } of contents.items) {
    const name = String(key);
    const origin = (node: Node | null): string => `${path}:${lineOf(node ?? key, lines)}: ${name}`;
    const option = byKey.get(name);
    if (!option) {
      const meant = name === 'config' ? ': a file cannot name another file' : didYouMean(name, byKey.keys());
      throw refused(
        `${origin(key)}: unknown key${meant || `; expected one of ${[...byKey.keys()].join(', ')}`}`,
      );
    }
    if (option.kind === 'section') {
      const plain: unknown = yaml.isNode(value) ? value.toJS(document) : undefined;
      sections.set(option, option.read(plain, refuseIn(document, name, path, lines)));
      continue;
    }
    const items = option.kind === 'list' && yaml.isSeq<Node | null>(value) ? value.items : [value];
    const entries = items.map((item): FileEntry => {
      const node = yaml.isAlias(item) ? item.resolve(document) : item;
      if (!yaml.isScalar(node) || node.value === null) {
        const came =
          node === null || node === undefined || yaml.isScalar(node)
            ? 'nothing'
            : yaml.isMap(node)
              ? 'a map'
              : 'a list';
        throw refused(`${origin(item)}: expected ${option.expected}, got ${came}`);
      }
      return { origin: origin(item), text: node.source ?? String(node.value) };
    });
    texts.set(option, entries);
  }
  return { texts, sections };
}

/** Names the line of the node at the path inside the section, or of the nearest node above it. */
function refuseIn(document: Document, name: string, path: string, lines: LineCounter): Refuse {
  return (inside, expected, hint = '') => {
    let node: unknown;
    for (let depth = inside.length; depth >= 0 && !hasRange(node); depth--) {
      node = document.getIn([name, ...inside.slice(0, depth)], true);
    }
    const where = [name, ...inside].reduce<string>(
      (sum, step) => (typeof step === 'number' ? `${sum}[${step}]` : sum ? `${sum}.${step}` : step),
      '',
    );
    const value = document.getIn([name, ...inside]);
    const came = value === undefined || value === null ? 'nothing' : `"${String(value).slice(0, 60)}"`;
    const line = hasRange(node) ? lineOf(node, lines) : 1;
    throw refused(`${path}:${line}: ${where}: expected ${expected}, got ${came}${hint}`);
  };
}

function hasRange(node: unknown): node is Node {
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range);
}

function lineOf(node: Node, lines: LineCounter): number {
  return node.range ? lines.linePos(node.range[0]).line : 1;
}

function refused(message: string): UsageError {
  return new UsageError('usage.file', message);
}
