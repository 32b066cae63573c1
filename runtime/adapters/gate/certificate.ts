/** A server's certificate and its key, as files hold them; other files of the same names count without a restart. */
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { DrError } from "../../errors.ts";

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

export class WatchedCertificate {
  readonly #files: CertificateFiles;
  #present: Certificate;

  /** @throws SETTING_INVALID when there is no certificate that could be used. */
  constructor(files: CertificateFiles) {
    this.#files = files;
    this.#present = this.#read();
  }

  get present(): Certificate {
    return this.#present;
  }

  /** The certificate, when it is another one than before. @throws SETTING_INVALID; the one before goes on to be used. */
  renewed(): Certificate | undefined {
    const read = this.#read();
    if (read.cert === this.#present.cert && read.key === this.#present.key) return undefined;
    this.#present = read;
    return read;
  }

  #read(): Certificate {
    const { certificate, key } = this.#files;
    try {
      const read = { cert: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
      // Also: that they belong together.
      createSecureContext(read);
      return read;
    } catch (cause) {
      throw new DrError("SETTING_INVALID", `the gate's certificate ${certificate} and its key ${key} cannot be used`, {
        hint: "give files with a certificate (its chain with it) and its private key, both PEM",
        cause,
      });
    }
  }
}
