import type { RegionSettings } from "../domain/settings/region-settings.ts";
import type { SecretReference } from "../domain/settings/secret-reference.ts";

/** A settings file that was read and is as it should be. */
export interface SettingsFile {
  /** Absolute. */
  readonly path: string;
  readonly settings: RegionSettings;
  /**
   * The secret that a setting refers to, without the line end of its file; read when it is asked for.
   * @param setting its name, for messages.
   * @throws SETTING_INVALID
   */
  secret(reference: SecretReference, setting: string): Promise<string>;
}
