/**
 * Host names and addresses as TLS has them (RFC 6066, RFC 9525): what is sent to a server, and what its certificate is
 * verified against.
 *
 * @module
 */
import { ipVersion, withoutBrackets } from "../common/address.ts";
import { quote } from "../common/describe.ts";

/**
 * Makes the name that TLS uses of a host.
 *
 * An international name becomes its A-labels (RFC 5890). A final dot and the zone of an address are not part of it, nor are
 * the brackets that an IPv6 address has in a URL.
 *
 * @param host A host name or an IP address
 * @returns The name, in lower case, or the address
 * @throws {TypeError} If it is neither a name nor an address; the message begins with the host
 */
export function tlsName(host: string): string {
  const address = withoutBrackets(host);
  if (ipVersion(address) !== null) return address.replace(/%.*$/, "").toLowerCase();
  const name = toAscii(host.replace(/\.$/, ""));
  if (name === undefined) throw new TypeError(`${quote(host)} is neither a host name nor an IP address`);
  return name;
}

/** A name of letters, digits, hyphens and underscores, in labels of up to 63 characters. */
const hostName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

function toAscii(name: string): string | undefined {
  const ascii = isAscii.test(name) ? name.toLowerCase() : fromUnicode(name);
  // A last label of digits would be part of an IPv4 address.
  return ascii !== undefined && hostName.test(ascii) && !/(^|\.)\d+$/.test(ascii) ? ascii : undefined;
}

const isAscii = /^\p{ASCII}*$/u;

/** The parser of URLs is what knows of international names. What else a URL may have must not come in by it. */
function fromUnicode(name: string): string | undefined {
  if (/[\s%/?#@:\\[\]]/.test(name)) return undefined;
  try {
    return new URL(`http://${name}`).hostname;
  } catch {
    return undefined;
  }
}
