"""Write the shipped suites from their makers: run after a change of a maker, with `VERSION` raised."""

from steelyard.tasks.builtin.suites import write_all

if __name__ == "__main__":
    write_all()
