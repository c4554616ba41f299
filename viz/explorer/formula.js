// Formulas: the texts of the table of operations, filled with names or numbers, as text and as MathML. The parentheses
// are those of inspection/brackets.py, so that the page prints what `step` prints.
//
// A formula is { text, math, binds }: math is a tree for makeMath, binds says how tightly the outermost operation binds.

export const SUM = 0;
export const PRODUCT = 1;
export const SINGLE = 2;

const A_NUMBER = /^\d+(\.\d+)?(e[+−]\d+)?$/, OPERATOR = /[ ·/^+*=<>-]|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]/u, A_SUM = / [+−><≥≤=≠] /u;
const BEFORE_A_SUM = /([([|]|, | [><≥≤=≠] )$/u, AFTER_A_SUM = /^([)\]|,]| [><≥≤=≠] )/u;
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁽⁾", LOWERED = "₀₁₂₃₄₅₆₇₈₉₋", LEVEL = "0123456789−()";
const levelled = (text, small) => [...text].map((sign) => (small.includes(sign) ? LEVEL[small.indexOf(sign)] : sign)).join("");
export const lowered = (number) => [...String(number)].map((digit) => LOWERED[digit]).join("");

// A number for people, as Python's format has it: six digits, a minus sign as wide as a digit.
export function written(number, digits = 6) {
  if (Number.isNaN(number)) return "nan";
  if (!Number.isFinite(number)) return number > 0 ? "inf" : "−inf";
  if (number === 0) return Object.is(number, -0) ? "−0" : "0";
  const [mantissa, power] = rounded(number, digits).split("e");
  const exponent = Number(power);
  const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  const text = exponent < -4 || exponent >= digits
    ? `${trimmed(mantissa)}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`
    : trimmed(Number(`${mantissa}e${power}`).toFixed(Math.max(0, digits - 1 - exponent)));
  return text.replaceAll("-", "−");
}

// With so many digits; halves to the even digit, as Python has it, where JavaScript rounds them up.
function rounded(number, digits) {
  const up = number.toExponential(digits - 1);
  if (!/5e/.test(number.toExponential(digits))) return up;
  const [exact, power] = number.toExponential(60).split("e");
  const end = exact.length - 60 + digits - 1;  // the digits that are kept
  return /^50*$/.test(exact.slice(end)) && "02468".includes(exact[end - 1]) ? `${exact.slice(0, end)}e${power}` : up;
}

export function numberFormula(number) {
  const text = written(number);
  const [digits, exponent] = text.split("e");
  const math = exponent === undefined ? signedMath(text)
    : ["mrow", signedMath(digits), ["mo", "·"], ["msup", ["mn", "10"], signedMath(String(Number(exponent.replace("−", "-").replace("+", ""))).replace("-", "−"))]];
  return { text, math, binds: text.startsWith("−") ? SUM : SINGLE };
}

const signedMath = (text) => (text.startsWith("−") ? ["mrow", ["mo", "−"], digitsMath(text.slice(1))] : digitsMath(text));
const digitsMath = (text) => ["mn", text === "inf" ? "∞" : text];

// How tightly a formula binds of which only the text is known.
export function bindsOf(text) {
  const outside = outsideBrackets(text);
  if (A_NUMBER.test(text) || !(text.startsWith("−") || OPERATOR.test(outside))) return SINGLE;
  return text.startsWith("−") || A_SUM.test(outside) ? SUM : PRODUCT;
}

function outsideBrackets(text) {
  let left = "", depth = 0, betweenBars = false;
  for (const sign of text) {
    if (sign === "|") betweenBars = !betweenBars;
    if (")]⁾".includes(sign)) depth -= 1;
    if (depth === 0 && !betweenBars) left += sign;
    if ("([⁽".includes(sign)) depth += 1;
  }
  return left;
}

export function bracketed(formula, atLeast = PRODUCT) {
  if (formula.binds >= atLeast) return formula;
  return { text: `(${formula.text})`, math: ["mrow", ["mo", "("], formula.math, ["mo", ")"]], binds: SINGLE };
}

// A text of the table, such as "{0}·{1}", with its operands, in parentheses where they need them.
export function filledIn(template, operands) {
  const needed = withBrackets(template, operands);
  let text = needed.replace(/\{(\d+)\}/g, (_, i) => operands[i].text);
  for (const { text: own } of Object.values(operands)) {
    if (own.startsWith("(") && bindsOf(own) === SINGLE) text = text.replaceAll(`(${own})`, () => own);
  }
  return { text, math: mathOfText(needed, operands), binds: bindsOf(text) };
}

function withBrackets(template, operands) {
  const bare = template.replace(/(?<![\p{L}\p{N}_′√])\((\{\d+\})\)/gu, "$1");
  return bare.replace(/\{(\d+)\}/g, (place, i, at) => {
    const before = bare.slice(0, at), after = bare.slice(at + place.length);
    const needs = /[/^]$/.test(before) || /^[⁰¹²³⁴⁵⁶⁷⁸⁹⁻^]/u.test(after) ? SINGLE
      : BEFORE_A_SUM.test(before) && AFTER_A_SUM.test(after) ? SUM : PRODUCT;
    return operands[i].binds >= needs ? place : `(${place})`;
  });
}

// --- MathML -----------------------------------------------------------------------------------------------------------

const TOKEN = /\{(\d+)\}|(\d+(?:\.\d+)?(?:e[+−]?\d+)?)|([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)|([₀₁₂₃₄₅₆₇₈₉]+)|([\p{L}π][\p{L}\d_]*)|(\s+)|(.)/gu;

// The tree of a text of the table; operands stand at their places.
export function mathOfText(template, operands = {}) {
  const quotient = /^(\(?\{\d+\}\)?)\/(\(?\{\d+\}\)?)$/.exec(template);
  if (quotient) {
    const [over, under] = quotient.slice(1).map((part) => operands[/\d+/.exec(part)[0]].math);
    return ["mfrac", over, under];
  }
  return parsed([...template.matchAll(TOKEN)], operands).tree;
}

function parsed(tokens, operands, from = 0, closing = "") {
  const row = [];
  let at = from;
  const atom = () => {  // the next operand, number, name, sign or bracketed part
    const [sign, place, number, , , word] = tokens[at];
    at += 1;
    if (place !== undefined) return ["mrow", operands[place].math];
    if (number !== undefined) return ["mn", number];
    if (word !== undefined) return ["mi", word];
    if (sign === "(" || sign === "√") {
      if (sign === "√" && tokens[at]?.[0] !== "(") return ["msqrt", atom()];
      if (sign === "√") at += 1;
      const inner = parsed(tokens, operands, at, ")");
      at = inner.at + 1;
      return sign === "√" ? ["msqrt", inner.tree] : ["mrow", ["mo", "("], inner.tree, ["mo", ")"]];
    }
    return ["mo", sign];
  };
  while (at < tokens.length && tokens[at][0] !== closing) {
    const [sign, , , raised, low, , space] = tokens[at];
    if (space !== undefined) at += 1;
    else if (raised !== undefined) {
      row.push(["msup", row.pop() ?? ["mrow"], ["mn", levelled(raised, RAISED)]]);
      at += 1;
    } else if (low !== undefined) {
      row.push(["msub", row.pop() ?? ["mrow"], ["mn", levelled(low, LOWERED)]]);
      at += 1;
    } else if (sign === "′") {
      row.push(["msup", row.pop() ?? ["mrow"], ["mo", "′"]]);
      at += 1;
    } else if (sign === "^") {
      at += 1;
      const base = row.pop() ?? ["mrow"];
      const exponent = atom();
      const isBracketed = exponent[0] === "mrow" && exponent[1]?.[1] === "(";
      row.push(["msup", base, isBracketed ? exponent[2] : exponent]);
    } else row.push(atom());
  }
  return { tree: ["mrow", ...row], at };
}

// A name as the notes print it: w⁽¹⁾₀₂ is w with (1) above and 02 below; any other text is upright.
export function nameFormula(text) {
  const parts = /^([\p{L}\d_]+?)(⁽[⁰¹²³⁴⁵⁶⁷⁸⁹]+⁾)?([₀₁₂₃₄₅₆₇₈₉][₀₁₂₃₄₅₆₇₈₉,]*)?(⟨\d+⟩)?$/u.exec(text);
  return { text, math: parts ? symbolMath(...parts.slice(1)) : ["mtext", text], binds: bindsOf(text) };
}

function symbolMath(letter, layer = "", indices = "", example = "") {
  const base = ["mi", letter];
  const above = layer || example ? ["mrow", ["mtext", levelled(layer, RAISED) + example]] : null;
  const below = indices ? ["mn", levelled(indices, LOWERED)] : null;
  if (above && below) return ["msubsup", base, below, above];
  return above ? ["msup", base, above] : below ? ["msub", base, below] : base;
}

export function derivativeFormula(above, below, part = "") {
  const over = bracketed(above, SINGLE), under = bracketed(below, SINGLE);
  const quotient = ["mfrac", ["mrow", ["mi", "∂"], over.math], ["mrow", ["mi", "∂"], under.math]];
  const text = `∂${over.text}/∂${under.text}`;
  if (!part) return { text, math: quotient, binds: PRODUCT };
  return { text: `${text} (${part})`, math: ["msub", ["mrow", quotient, ["mo", "|"]], ["mtext", part]], binds: PRODUCT };
}
