/** What to do about a connection that was refused before any request was sent: by a proxy, or for a certificate. */
const certificateCodes = [
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
];

export function connectionHint({ code, message }: NodeJS.ErrnoException): string | undefined {
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return "its certificate is of another name: use a name that the certificate has";
  if (code === "CERT_HAS_EXPIRED") return "its certificate has expired, or the clock here is wrong";
  if (code !== undefined && certificateCodes.includes(code)) {
    return "its certificate is of an authority that is not known here: name the authority's certificate in NODE_EXTRA_CA_CERTS, or set NODE_USE_SYSTEM_CA=1 where the system knows it";
  }
  if (code === "ERR_PROXY_TUNNEL" || /proxy/i.test(message)) {
    return "the proxy in HTTPS_PROXY or HTTP_PROXY does not let it through: see that it may reach the server, or name the server in NO_PROXY";
  }
  if (code === "EPROTO" || /wrong version number/i.test(message))
    return "it does not speak TLS there: write http:// if that is meant";
  return undefined;
}
