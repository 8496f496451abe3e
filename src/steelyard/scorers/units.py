"""A small table of units: enough to see that 1.5 km is 1500 m, and that metres are no kilograms.

Not covered: products and quotients that are not in the table, currencies against each other, two numbers for one
quantity ("5 ft 3 in"). Factors are exact by definition (SI; international yard and pound of 1959; US gallon).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """`value` in this unit is `value * factor + offset` in the base unit of `dimension`."""

    dimension: str
    factor: float
    offset: float = 0.0


_TABLE: Mapping[str, Mapping[str, float]] = {
    "length": {
        "m metre meter metres meters": 1, "km kilometre kilometer kilometres kilometers kms": 1e3,
        "cm centimetre centimeter centimetres centimeters": 1e-2,
        "mm millimetre millimeter millimetres millimeters": 1e-3,
        "µm μm um micrometre micrometer micrometres micrometers": 1e-6,
        "nm nanometre nanometer nanometres nanometers": 1e-9, "mi mile miles": 1609.344, "yd yard yards": 0.9144,
        "ft foot feet": 0.3048, "in inch inches": 0.0254,
    },
    "mass": {
        "g gram grams": 1, "kg kilogram kilograms kilo kilos": 1e3, "mg milligram milligrams": 1e-3,
        "µg μg ug microgram micrograms": 1e-6, "t tonne tonnes": 1e6, "lb lbs pound pounds": 453.59237,
        "oz ounce ounces": 28.349523125,
    },
    "time": {
        "s sec secs second seconds": 1, "ms millisecond milliseconds": 1e-3, "µs μs us microsecond microseconds": 1e-6,
        "ns nanosecond nanoseconds": 1e-9, "min mins minute minutes": 60, "h hr hrs hour hours": 3600,
        "d day days": 86400, "week weeks": 604800,
    },
    "volume": {
        "l litre liter litres liters": 1, "ml millilitre milliliter millilitres milliliters": 1e-3,
        "cl centilitre centiliter centilitres centiliters": 1e-2, "m3 m³ m^3": 1e3, "cm3 cm³ cm^3 cc": 1e-3,
        "gal gallon gallons": 3.785411784,
    },
    "area": {
        "m2 m² m^2 sqm": 1, "km2 km² km^2": 1e6, "cm2 cm² cm^2": 1e-4, "mm2 mm² mm^2": 1e-6,
        "ha hectare hectares": 1e4, "acre acres": 4046.8564224, "ft2 ft² ft^2 sqft": 0.09290304,
    },
    "speed": {"m/s": 1, "km/h kph kmh": 1 / 3.6, "mph mi/h": 0.44704, "knot knots kn": 1852 / 3600},
    "energy": {
        "j joule joules": 1, "kj kilojoule kilojoules": 1e3, "mj megajoule megajoules": 1e6, "wh": 3600,
        "kwh": 3.6e6, "cal calorie calories": 4.184, "kcal kilocalorie kilocalories": 4184, "ev": 1.602176634e-19,
    },
    "power": {"w watt watts": 1, "kw kilowatt kilowatts": 1e3, "mw megawatt megawatts": 1e6},
    "data": {
        "b byte bytes": 1, "kb kilobyte kilobytes": 1e3, "mb megabyte megabytes": 1e6, "gb gigabyte gigabytes": 1e9,
        "tb terabyte terabytes": 1e12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
    },
    "frequency": {"hz hertz": 1, "khz kilohertz": 1e3, "mhz megahertz": 1e6, "ghz gigahertz": 1e9},
    "pressure": {"pa pascal pascals": 1, "kpa": 1e3, "mpa": 1e6, "bar bars": 1e5, "atm": 101325},
    "force": {"n newton newtons": 1, "kn_force kilonewton kilonewtons": 1e3},
    "angle": {"° deg degree degrees": 1, "rad radian radians": 57.29577951308232},
    "dollars": {"$ usd dollar dollars": 1, "¢ cent cents": 0.01},
    "euros": {"€ eur euro euros": 1},
    "pounds sterling": {"£ gbp": 1},
    "yen": {"¥ jpy yen": 1},
}  # fmt: skip
_TEMPERATURES = {
    "°c celsius k_c": Unit("temperature", 1.0, 273.15),
    "°f fahrenheit": Unit("temperature", 5 / 9, 459.67 * 5 / 9),
    "kelvin kelvins": Unit("temperature", 1.0),
}
_CASED = {"K": Unit("temperature", 1.0), "C": Unit("temperature", 1.0, 273.15), "F": _TEMPERATURES["°f fahrenheit"],
          "MW": Unit("power", 1e6), "mW": Unit("power", 1e-3), "MJ": Unit("energy", 1e6), "mJ": Unit("energy", 1e-3),
          "MPa": Unit("pressure", 1e6), "kN": Unit("force", 1e3), "Mb": Unit("bits", 1e6), "kb": Unit("bits", 1e3),
          "Gb": Unit("bits", 1e9)}  # fmt: skip
UNITS: Mapping[str, Unit] = {
    **{
        name: Unit(dimension, factor)
        for dimension, units in _TABLE.items()
        for names, factor in units.items()
        for name in names.split()
    },
    **{name: unit for names, unit in _TEMPERATURES.items() for name in names.split()},
}


def unit_named(name: str) -> Unit | None:
    """The unit written `name`; case tells apart where it must (MW and mW), and does not count elsewhere."""
    return _CASED.get(name) or UNITS.get(name) or UNITS.get(name.casefold())


def to_base(value: float, unit: Unit) -> float:
    """The value in the base unit of its dimension."""
    return value * unit.factor + unit.offset


def convert(value: float, source: Unit, target: Unit) -> float:
    """`value` of `source` in `target`; both must be of one dimension."""
    return (to_base(value, source) - target.offset) / target.factor
