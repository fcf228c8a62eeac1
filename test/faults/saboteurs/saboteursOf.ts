import type { Guarantee, SaboteurName } from "../claim.ts";
import { saboteurs } from "./saboteurs.ts";

/** All ways in which a promise is broken on purpose: in programs and migrations, then in the SQL's decisions. */
export function saboteursOf({ id, saboteurs: ofTheSql = [] }: Guarantee): SaboteurName[] {
  const ofThePrograms = saboteurs
    .filter(({ breaks }) => breaks === id)
    .map(({ name }) => ({ file: "test/faults/saboteurs/saboteurs.ts", name }));
  return [...ofThePrograms, ...ofTheSql];
}
