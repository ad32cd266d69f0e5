// One message as nodes.

import { element, formatted, icon, size, time } from "./format.js";

const REPLY = "M10 8V4L3 11l7 7v-4c5 0 8.5 1.5 11 5-1-6-4-10-11-11z";
const FILE = "M12 4v11m-5-5l5 5 5-5M5 20h14";

/// The bubble and the keyboard of a message. `actions` are reply(id), press(id, data), jump(id), isWaiting(id, data).
export function parts(message, actions) {
  const bubble = element("div", "bubble");
  if (message.reply_to) bubble.append(quotation(message.reply_to, actions));
  if (message.photo) bubble.append(picture(message));
  if (message.document) bubble.append(fileLink(message));
  const when = message.edited ? `edited ${time(message.date)}` : time(message.date);
  // The time stands in the corner, and the last line leaves as much room as it needs.
  const room = element("span", "room", when);
  room.setAttribute("aria-hidden", "true");
  bubble.append(element("div", "text", formatted(message.text, message.entities), room));
  const stamp = element("time", "stamp", when);
  stamp.dateTime = new Date(message.date * 1000).toISOString();
  bubble.append(stamp);

  const action = element("button", "reply", icon(REPLY));
  action.type = "button";
  action.setAttribute("aria-label", "Reply");
  action.addEventListener("click", () => actions.reply(message.id));
  const nodes = [element("div", "line", bubble, action)];
  if (message.buttons.length > 0) nodes.push(keyboard(message, actions));
  return nodes;
}

function quotation(replied, actions) {
  const quote = element("button", "quote", element("b", "", replied.sender), element("span", "", replied.text));
  quote.type = "button";
  quote.addEventListener("click", () => actions.jump(replied.id));
  return quote;
}

function picture(message) {
  const image = element("img", "photo");
  image.src = `file/${message.id}`;
  image.width = message.photo.width;
  image.height = message.photo.height;
  image.alt = message.text || "Picture";
  const link = element("a", "", image);
  link.href = image.src;
  link.target = "_blank";
  return link;
}

function fileLink(message) {
  const { name, size: bytes } = message.document;
  const words = element("span", "", element("b", "", name), element("small", "", size(bytes)));
  const link = element("a", "document", element("span", "round", icon(FILE)), words);
  link.href = `file/${message.id}`;
  link.download = name;
  return link;
}

function keyboard(message, actions) {
  const draw = (button) => (button.url ? urlButton(button) : inlineButton(message.id, button, actions));
  return element("div", "keyboard", ...message.buttons.map((row) => element("div", "row", ...row.map(draw))));
}

function urlButton(button) {
  const link = element("a", "inline", button.text);
  if (/^https?:\/\//i.test(button.url)) link.href = button.url;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  return link;
}

function inlineButton(id, { text, data }, actions) {
  const button = element("button", "inline", text);
  button.type = "button";
  button.dataset.data = data;
  button.classList.toggle("waiting", actions.isWaiting(id, data));
  button.addEventListener("click", () => actions.press(id, data));
  return button;
}
