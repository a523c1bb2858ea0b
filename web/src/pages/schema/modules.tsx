/** The modules of the schema: who owns each, its types, and its text as deployed. */
import type { Deployed, DeployedModule } from "../../api/system";
import { Badge } from "../../design/parts/layout";
import { href } from "../../router";

export function Modules({ deployed }: { deployed: Deployed }) {
  return <div className="modules">{deployed.modules.map((module) => <Module key={module.name} module={module} />)}</div>;
}

function Module({ module }: { module: DeployedModule }) {
  return (
    <section className="panel" aria-label={`Module ${module.name}`}>
      <header>
        <h2>{module.name}</h2>
        <span><Badge>owner {module.owner}</Badge></span>
      </header>
      <div className="body">
        <p className="module-types">
          {module.types.map((type) => <a key={type} href={href(["schema", type])}>{type}</a>)}
        </p>
        <details>
          <summary>{module.file}</summary>
          <pre className="sdl" tabIndex={0} role="region" aria-label={`Text of ${module.file}`}>{module.text}</pre>
        </details>
      </div>
    </section>
  );
}
