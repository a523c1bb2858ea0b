/** Draws the way of data: a picture where there is room, the same stations as a list on a phone. */
import { type Facts, flow, type Stage, type Station, STATION, WIDTH } from "./flow";

export function River({ facts }: { facts: Facts }) {
  const { stages, streams, height } = flow(facts);
  return (
    <>
      <div className="river-picture">
        <svg viewBox={`-2 -2 ${WIDTH + 4} ${height + 4}`} role="group" aria-label="The way of data: schema, tables, lake, answers">
          {streams.map((stream) => (
            <g key={stream.id} fill="none">
              <path className="stream" d={stream.path} strokeWidth={stream.width} />
              {stream.width > 2 && <path className="current" d={stream.path} strokeWidth={1.5} />}
            </g>
          ))}
          {stages.map((stage) => (
            <g key={stage.title}>
              <text className="stage-title" x={stage.x} y={16}>{stage.title}</text>
              <text className="stage-remark" x={stage.x} y={36}>{stage.remark}</text>
              {stage.stations.map((station) => <StationBox key={station.id} station={station} isLake={station.id === "lake"} />)}
            </g>
          ))}
        </svg>
      </div>
      <ol className="river-list">
        {stages.map((stage) => <StageItem key={stage.title} stage={stage} />)}
      </ol>
    </>
  );
}

function StationBox({ station, isLake }: { station: Station; isLake: boolean }) {
  const middle = station.y + station.height / 2;
  return (
    <a href={station.href} className={isLake ? "station is-lake" : "station"}>
      <rect x={station.x} y={station.y} width={STATION} height={station.height} rx={isLake ? 16 : 10} />
      {station.hue && <circle cx={station.x + STATION - 18} cy={station.y + 18} r={4.5} style={{ fill: station.hue }} />}
      <text className="station-title" x={station.x + (isLake ? STATION / 2 : 16)} y={middle - (isLake ? 4 : 3)}>{clipped(station.title)}</text>
      <text className="station-remark" x={station.x + (isLake ? STATION / 2 : 16)} y={middle + (isLake ? 22 : 17)}>{station.remark}</text>
    </a>
  );
}

function StageItem({ stage }: { stage: Stage }) {
  return (
    <li>
      <h2>{stage.title} <span className="faint">{stage.remark}</span></h2>
      <ul>
        {stage.stations.map((station) => (
          <li key={station.id}><a href={station.href}><strong>{station.title}</strong><span>{station.remark}</span></a></li>
        ))}
      </ul>
    </li>
  );
}

function clipped(text: string): string {
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
}
