"""The reference evaluation XYD-REF-1 (参考评价): a card of data, evaluated by pure functions over a merged report."""
