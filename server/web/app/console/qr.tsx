import { useEffect, useState } from "preact/hooks";

/** Modules of white around the code, as many as readers ask for. */
const MARGIN = 4;

function pathOf(rows: readonly (readonly boolean[])[]): string {
  return rows.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ""))).join("");
}

/** A code to be photographed: dark on white whatever the page's colors, as readers expect it. */
export function QrCode({ text, label }: { text: string; label: string }) {
  const [rows, setRows] = useState<boolean[][] | null>(null);
  useEffect(() => {
    let wanted = true;
    // Loaded only here: few views have a code.
    void import("qr").then(({ encodeQR }) => wanted && setRows(encodeQR(text, "raw", { border: MARGIN })));
    return () => {
      wanted = false;
    };
  }, [text]);
  const size = rows?.length ?? 1;
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shape-rendering="crispEdges">
      {rows && <path d={pathOf(rows)} />}
    </svg>
  );
}
