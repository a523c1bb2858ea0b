/** The colour that stands for a module wherever the schema is shown. */
import type { Deployed } from "../api/system";

/** As many as `tokens.css` has; further modules begin again. */
const HUES = 6;

export function hueOf(deployed: Deployed, module: string): string {
  const at = deployed.modules.findIndex((found) => found.name === module);
  return at < 0 ? "var(--line-strong)" : `var(--hue-${at % HUES})`;
}
