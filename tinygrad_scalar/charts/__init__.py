"""Charts of numbers as SVG, readable on light and on dark pages; they know neither graphs nor networks."""
