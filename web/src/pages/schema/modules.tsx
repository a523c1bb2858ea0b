/** The modules of the schema: who owns each, its types, and its text as deployed. */
import { hueOf } from "../../design/hue";
import { Sdl } from "./sdl";
import type { Deployed, DeployedModule } from "../../api/system";
import { Badge } from "../../design/parts/layout";
import { href } from "../../router";

export function Modules({ deployed }: { deployed: Deployed }) {
  return <div className="modules">{deployed.modules.map((module) => <Module key={module.name} module={module} hue={hueOf(deployed, module.name)} />)}</div>;
}

function Module({ module, hue }: { module: DeployedModule; hue: string }) {
  return (
    <section className="panel" aria-label={`Module ${module.name}`}>
      <header>
        <h2><span className="dot" style={{ background: hue }} />{module.name}</h2>
        <Badge>owner {module.owner}</Badge>
      </header>
      <div className="body">
        <p className="module-types">
          {module.types.map((type) => <a key={type} href={href(["schema", type])}>{type}</a>)}
        </p>
        <details open>
          <summary>{module.file}</summary>
          <Sdl text={module.text} label={`Text of ${module.file}`} />
        </details>
      </div>
    </section>
  );
}
