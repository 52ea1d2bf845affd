/** The machine slipstream runs on, in Go's words. */

const OS: Readonly<Record<string, string>> = { win32: "windows", sunos: "solaris" };
const ARCH: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", ppc64: "ppc64le", loong64: "loong64" };

/** The libc is told by what this Node.js is linked to (`process.report`). */
export function thisPlatform(): { readonly os: string; readonly arch: string; readonly libc?: "gnu" | "musl" } {
  const os = OS[process.platform] ?? process.platform;
  const arch = ARCH[process.arch] ?? process.arch;
  if (os !== "linux") return { os, arch };
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return { os, arch, libc: header?.glibcVersionRuntime === undefined ? "musl" : "gnu" };
}
