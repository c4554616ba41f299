"""exp with more digits than a float64 has, from which softmax and its kin are made within 2 ulp."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinygrad_scalar.engine.elementary import divide, exp

LOG2_E = 1.4426950408889634
LN2, MORE_OF_LN2 = 0.6931471805598903, 5.497923018708371e-14  # LN2 has 42 bits, so that its multiples are exact
# exp(j/64) for j from −23 to 23, each with what is lost in rounding it
POWERS = (
    (0.6981125100681258, 4.379112262891346e-17), (0.7091061824373984, -1.2868055655346304e-17),
    (0.7202729799554398, -3.7374088280484695e-17), (0.7316156289466418, 8.35576468031604e-18),
    (0.7431368986687583, -9.001102395673582e-19), (0.7548396019890073, -9.844076038651084e-18),
    (0.76672659607082, 2.5682592802096574e-17), (0.7788007830714049, -1.0231869534531498e-17),
    (0.791065110850296, 5.426586044764942e-17), (0.8035225736890608, -3.661886830920417e-17),
    (0.8161762130223398, 6.554697808700811e-18), (0.8290291181804004, -2.7604408719539223e-17),
    (0.8420844271433824, -3.8967887440685524e-17), (0.8553453273074225, 1.7204900005057594e-17),
    (0.8688150562628432, 6.146598011714697e-19), (0.8824969025845955, -5.224526916735663e-17),
    (0.8963942066351505, -4.7460497709066285e-17), (0.9105103613800342, -3.325048324577564e-17),
    (0.9248488132162048, 1.0614261758612887e-17), (0.9394130628134758, -2.152447043447057e-17),
    (0.9542066659691884, -3.392457164103672e-17), (0.9692332344763441, -4.801151707083219e-17),
    (0.9844964370054085, -4.7493026566356186e-17), (1.0, 0.0), (1.0157477085866857, 2.0530467874932267e-17),
    (1.0317434074991028, -8.944417741043132e-17), (1.0479910020166328, -5.327900898877614e-17),
    (1.0644944589178593, 1.0872888143211957e-16), (1.0812578074490395, 6.013904942011385e-17),
    (1.0982851403078258, 9.070644949793751e-17), (1.1155806146424807, 5.298211318168963e-17),
    (1.1331484530668263, -5.370737708558031e-18), (1.1509929446911764, 3.7613173622701076e-17),
    (1.1691184461695043, 6.945488167320411e-17), (1.1875293827631006, 6.415816207759217e-19),
    (1.2062302494209807, 3.9295715071105525e-17), (1.2252256118773075, 8.279379001181868e-17),
    (1.2445201077660952, -7.440512295261056e-17), (1.2641184477534664, -1.541497933603795e-17),
    (1.2840254166877414, 8.968972781793724e-17), (1.3042458747676378, 1.7093578107981658e-17),
    (1.3247847587288655, 9.422682377542367e-17), (1.3456470830494105, 3.415854209639032e-17),
    (1.3668379411737963, 5.1449446596411544e-17), (1.3883625067566268, 6.691963657219203e-17),
    (1.4102260349257107, -4.1758810273684196e-17), (1.4324338635650782, -6.53862212642198e-17),
)  # fmt: skip
MOST_EXACT = -800.0  # below, exp is 0 whatever was lost in rounding


def exp_pair(x: float, lost: float) -> tuple[float, float]:
    """exp(x + lost), and what is lost in rounding it, for x from −800 to 700; off by 2⁻⁵⁸ of itself.

    It is 2ᵏ·exp(j/64)·exp(t) with |t| ≤ 1/128, of which the last factor is a polynomial (Tang, 1989).
    """
    k = math.floor(x * LOG2_E + 0.5)
    r = x - k * LN2
    more = lost - k * MORE_OF_LN2
    j = math.floor(r * 64.0 + 0.5)
    s = r - j / 64.0
    t = s + more
    more -= t - s
    high, low = POWERS[j + 23]
    curved = t * t * (0.5 + t * (1 / 6 + t * (1 / 24 + t * (1 / 120 + t * (1 / 720)))))
    added = high * t + (high * (curved + more) + low)
    found = high + added
    return math.ldexp(found, k), math.ldexp(added - (found - high), k)


def lost_in_difference(x: float, y: float, difference: float) -> float:
    """x − y − difference, exactly (Knuth's two-sum)."""
    shift = difference - x
    return (x - (difference - shift)) - (y + shift)


def exp_of_difference(x: float, y: float) -> float:
    """exp(x − y) with the digits that x − y loses in rounding, or it would be off by |x − y| ulp."""
    return pair_of_difference(x, y)[0]


def pair_of_difference(x: float, y: float) -> tuple[float, float]:
    """The same, and what is lost in rounding it."""
    difference = x - y
    if not MOST_EXACT < difference < 800.0:
        return exp(difference), 0.0
    lost = lost_in_difference(x, y, difference)
    return exp_pair(difference, lost) if difference < 700.0 else (exp(difference) * (1.0 + lost), 0.0)


def rest_of_powers(x: Sequence[float], most: float) -> tuple[float, float]:
    """Σ exp(xᵢ − most) without the first largest, which is 1, as a number and what is lost in rounding it."""
    found = lost = 0.0
    first = x.index(most)
    for i, number in enumerate(x):
        if i != first:
            power, more = pair_of_difference(number, most)
            new = found + power
            lost += ((found - new) + power if found >= power else (power - new) + found) + more
            found = new
    total = found + lost
    return total, lost - (total - found)


def one_more(rest: float, lost: float) -> tuple[float, float]:
    """1 + rest + lost, as a number and what is lost in rounding it."""
    total = 1.0 + rest
    shift = total - 1.0
    return total, ((1.0 - (total - shift)) + (rest - shift)) + lost


def log_of_one_more(rest: float, lost: float) -> tuple[float, float]:
    """log(1 + rest + lost) in two parts, by a step of Newton's method where that adds digits."""
    found = math.log1p(rest)
    total, more = one_more(rest, lost)
    if rest < 0.0625:
        return found, lost / total
    power, low = exp_pair(found, 0.0)
    return found, ((total - power) + (more - low)) / total


def share_of_exp(x: float, y: float, total: float) -> float:
    """exp(x − y)/total, rounded once where that adds digits and nothing overflows on the way."""
    power, low = pair_of_difference(x, y)
    if low == 0.0 or not (power < 1e280 and 1e-20 < total < 1e280):
        return divide(power, total)
    return quotient(power, low, total, 0.0)


def sum_exp_below(*x: float) -> float:
    """Σ exp(xᵢ − y), where y comes last, with the digits that its terms and adding them lose (Neumaier)."""
    *numbers, y = x
    found = lost = 0.0
    for number in numbers:
        power, low = pair_of_difference(number, y)
        new = found + power
        lost += (found - new) + power if found >= power else (power - new) + found
        lost += low
        found = new
    return found + lost if math.isfinite(found) else found


def quotient(power: float, low: float, total: float, more: float) -> float:
    """(power + low)/(total + more), rounded once."""
    if power < 1e-280:  # what is lost would be less than the smallest number
        return quotient(power * 2.0**600, low * 2.0**600, total, more) * 2.0**-600 if power > 0.0 else power / total
    found = power / total
    product = found * total
    high, top = 134217729.0 * found, 134217729.0 * total  # Dekker's split: what the product lost
    high -= high - found
    top -= top - total
    below, under = found - high, total - top
    lost = ((high * top - product) + high * under + below * top) + below * under
    return found + (((power - product) - lost) + (low - found * more)) / total


def exact_log_of_sum(x: Sequence[float]) -> float:
    """log Σ exp(xᵢ) where the sum is so near to 1 that float64 has not the digits of its logarithm."""
    from decimal import Context, Decimal

    for digits in (60, 200, 700):  # 700: the sum of what is equal to 1 but for the smallest numbers there are
        context = Context(prec=digits, traps=[])
        total = Decimal(0)
        for number in x:
            total = context.add(total, context.exp(Decimal(number)))
        if abs(context.subtract(total, 1)) > Decimal(10) ** (25 - digits):
            break
    return float(context.ln(total))
