/** Valid 1Z numbers: the check digit is that of the fifteen characters before it. */
export function upsNumber(serial: number): string {
  const body = `R8939035${String(serial).padStart(7, "0")}`;
  const sum = [...body].reduce((total, c, i) => {
    const value = /\d/.test(c) ? Number(c) : (c.charCodeAt(0) - 3) % 10;
    return total + value * (i % 2 === 0 ? 1 : 2);
  }, 0);
  return `1Z${body}${(10 - (sum % 10)) % 10}`;
}
