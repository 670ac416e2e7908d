"""Disputes (异议, 征信业管理条例 Art. 25) and statements (Art. 16): opened, forwarded, annotated, answered."""
