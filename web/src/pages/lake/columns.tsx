/** What is in the columns of a table: how many values are missing and different, and their range. */
import { useResource } from "../../api/resource";
import { type ColumnInfo, columns } from "../../api/system";
import { Bones, Empty, Loaded } from "../../design/parts/states";
import { count } from "../../design/words";

export function Columns({ typeName, rows }: { typeName: string; rows: number }) {
  const found = useResource(`columns ${typeName}`, () => columns(typeName));
  return (
    <section className="panel">
      <Loaded of={found} bones={<div className="body"><Bones rows={8} /></div>}>
        {(list) => (list.length ? <ColumnTable columns={list} rows={rows} /> : <Empty title="There are no columns" />)}
      </Loaded>
    </section>
  );
}

function ColumnTable({ columns: list, rows }: { columns: ColumnInfo[]; rows: number }) {
  return (
    <div className="scroll" role="region" aria-label="Column statistics" tabIndex={0}>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Column</th>
            <th scope="col">Type</th>
            <th scope="col">Filled</th>
            <th scope="col" className="is-number">Distinct</th>
            <th scope="col">Minimum</th>
            <th scope="col">Maximum</th>
          </tr>
        </thead>
        <tbody>
          {list.map((column) => (
            <tr key={column.name}>
              <th scope="row">{column.name}</th>
              <td className="mono soft"><span className="bound clip" title={column.typeText}>{column.typeText}</span></td>
              <td><Filled nulls={column.nulls} rows={rows} /></td>
              <td className="is-number">{column.distinct === null ? <span className="faint">–</span> : `≈ ${count(column.distinct)}`}</td>
              <td><Bound value={column.minimum} /></td>
              <td><Bound value={column.maximum} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The share of rows that have a value, as a bar with its number. */
function Filled({ nulls, rows }: { nulls: number | null; rows: number }) {
  if (nulls === null || rows === 0) return <span className="faint">–</span>;
  const share = Math.max(0, Math.min(1, 1 - nulls / rows));
  const percent = share === 1 ? "100 %" : `${(Math.floor(share * 1000) / 10).toFixed(1)} %`;
  return (
    <span className="filled" title={`${count(nulls)} without a value`}>
      <svg width="72" height="6" aria-hidden="true"><rect width="72" height="6" rx="3" /><rect className="share" width={72 * share} height="6" rx="3" /></svg>
      {percent}
    </span>
  );
}

function Bound({ value }: { value: unknown }) {
  if (value === null || value === undefined) return <span className="faint">–</span>;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return <span className="bound clip" title={text}>{text}</span>;
}
