import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Starts with the files whose tests run real processes: those wait for most of their time, and others use the machine
 * meanwhile. By itself vitest begins with the largest file, and the longest test stands in one of the smallest.
 */
export class ProcessesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const hasProcesses = ({ moduleId }: TestSpecification) =>
      moduleId.includes("/test/e2e/") || moduleId.includes("/test/faults/");
    return [...sorted.filter(hasProcesses), ...sorted.filter((file) => !hasProcesses(file))];
  }
}
