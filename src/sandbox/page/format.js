// Texts, sizes and times as nodes. The bot's text only ever becomes text nodes; its formatting comes as entities.

const TAGS = {
  bold: "strong",
  italic: "em",
  underline: "u",
  strikethrough: "s",
  code: "code",
  blockquote: "blockquote",
  expandable_blockquote: "blockquote",
  bot_command: "span",
};
const BLOCKS = new Set(["pre", "blockquote"]);
// An address, or a command of which only the slash and name are clickable.
const LINKS = /(https?:\/\/[^\s<>"']*[^\s<>"'.,;:!?)\]])|(?<![\w/@.])(\/[a-z0-9_]{1,32})(?![\w/])/gi;

/// An element with a class, attributes and children.
export function element(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/// The nodes of a text with its entities, whose offsets count UTF-16 units as JavaScript's strings do.
export function formatted(text, entities) {
  const sorted = [...entities].sort((a, b) => a.offset - b.offset || b.length - a.length);
  const root = document.createDocumentFragment();
  fill(root, text, 0, text.length, sorted, true);
  return root;
}

function fill(parent, text, start, end, entities, links) {
  let at = start;
  while (entities.length > 0 && entities[0].offset < end) {
    const entity = entities.shift();
    const from = Math.max(entity.offset, at);
    const to = Math.min(entity.offset + entity.length, end);
    if (to <= from) continue;
    plain(parent, text.slice(at, from), links);
    const [outer, inner, inside] = container(entity, links);
    fill(inner, text, from, to, entities, inside);
    parent.append(outer);
    at = to;
    // A block ends its line by itself; the line break after it would be an empty line.
    if (BLOCKS.has(outer.localName) && text[at] === "\n" && at < end) at += 1;
  }
  plain(parent, text.slice(at, end), links);
}

/// The node of an entity, the node that its text goes into, and whether links are looked for in there.
function container(entity, links) {
  switch (entity.type) {
    case "pre": {
      const code = element("code", "");
      const pre = element("pre", "", code);
      if (entity.language) pre.prepend(element("span", "language", entity.language));
      return [pre, code, false];
    }
    case "text_link": {
      const link = anchor(entity.url);
      return [link, link, false];
    }
    case "spoiler": {
      const spoiler = element("span", "spoiler");
      spoiler.tabIndex = 0;
      spoiler.setAttribute("role", "button");
      spoiler.setAttribute("aria-label", "Hidden text");
      const show = () => {
        spoiler.classList.add("shown");
        spoiler.removeAttribute("aria-label");
      };
      spoiler.addEventListener("click", show);
      spoiler.addEventListener("keydown", (event) => event.key === "Enter" && show());
      return [spoiler, spoiler, false];
    }
    case "expandable_blockquote": {
      const quote = element("blockquote", "expandable");
      quote.addEventListener("click", () => quote.classList.toggle("open"));
      return [quote, quote, links];
    }
    default: {
      const node = element(TAGS[entity.type] ?? "span", "");
      return [node, node, links && entity.type !== "code"];
    }
  }
}

function plain(parent, text, links) {
  let at = 0;
  for (const match of links ? text.matchAll(LINKS) : []) {
    parent.append(text.slice(at, match.index));
    parent.append(match[1] ? anchor(match[1], match[1]) : command(match[2]));
    at = match.index + match[0].length;
  }
  if (at < text.length) parent.append(text.slice(at));
}

function anchor(url, text = "") {
  // Other schemes lead nowhere from a browser, and some of them do harm.
  if (!/^https?:\/\//i.test(url)) return element("span", "link", text);
  const link = element("a", "", text);
  link.href = url;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  return link;
}

function command(text) {
  const button = element("button", "command", text);
  button.type = "button";
  button.dataset.command = text;
  return button;
}

/// A size for people.
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${Math.ceil(bytes / 1024)} KB`;
  return `${Math.ceil(bytes / 1024 / 1024)} MB`;
}

/// The time of day of a date in unix seconds, as this browser writes it.
export function time(date) {
  return new Date(date * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/// The day of a date, in words where it is near.
export function day(date) {
  const then = new Date(date * 1000);
  const midnight = new Date();
  midnight.setHours(0, 0, 0, 0);
  const days = Math.ceil((midnight - then) / 86_400_000);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  const year = then.getFullYear() === midnight.getFullYear() ? undefined : "numeric";
  return then.toLocaleDateString([], { day: "numeric", month: "long", year });
}

/// A picture made of one stroked path.
export function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}
