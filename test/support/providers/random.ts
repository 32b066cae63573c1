/** Stands for the provider `random`: a password stays what it was until one of its inputs changes. */
import { randomInt } from "node:crypto";
import { serveStandIn } from "./stand-in.ts";

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

await serveStandIn({
  replacing: (_type, inputs) => Object.keys(inputs),
  async create(type, inputs) {
    if (type !== "random:index/randomPassword:RandomPassword") throw new Error(`there is no stand-in for ${type}`);
    if (inputs["special"] !== false) throw new Error("passwords with special characters have no stand-in");
    const length = Number(inputs["length"]);
    const result = Array.from({ length }, () => letters.charAt(randomInt(letters.length))).join("");
    return { id: "none", outputs: { ...inputs, result } };
  },
  read: async (_type, _id, state) => state,
  update: async () => {
    throw new Error("every change of a password makes a new one");
  },
  delete: async () => {},
});
