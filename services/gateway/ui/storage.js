// What this browser remembers. Where it may keep nothing, things last until the page is left.

/** @type {Map<string, string>} */
const fallback = new Map();

/**
 * @param {() => Storage} storage a function, for even naming it may be forbidden
 */
function over(storage) {
  return {
    /** @param {string} name */
    get(name) {
      try {
        return storage().getItem(`cascade.${name}`);
      } catch {
        return fallback.get(`cascade.${name}`) ?? null;
      }
    },
    /**
     * @param {string} name
     * @param {string} value
     */
    set(name, value) {
      fallback.set(`cascade.${name}`, value);
      try {
        storage().setItem(`cascade.${name}`, value);
      } catch {
        return; // `fallback` has it.
      }
    },
    /** @param {string} name */
    remove(name) {
      fallback.delete(`cascade.${name}`);
      try {
        storage().removeItem(`cascade.${name}`);
      } catch {
        return; // There was nothing to remove.
      }
    },
  };
}

/** Kept for good. */
export const browser = over(() => localStorage);
/** Kept for this tab. */
export const tab = over(() => sessionStorage);

/** A UUID of version 4; crypto.randomUUID exists only where the address is https or this machine. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
