import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** GraphiQL brings its fonts inside its style sheet; ours are the system's, and the CSP allows no others. */
function withoutFonts(): Plugin {
  return {
    name: "without-fonts",
    enforce: "pre",
    transform: (code, id) =>
      id.includes("/graphiql/dist/style.css") ? code.replace(/@font-face\s*\{[^}]*\}/g, "") : undefined,
  };
}

export default defineConfig({
  plugins: [withoutFonts(), react()],
  build: {
    target: "es2022",
    // The editor is large, and loaded only by the page that shows it.
    chunkSizeWarningLimit: 1600,
    assetsInlineLimit: 0,
  },
});
