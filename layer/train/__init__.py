"""How the nano model is made: teacher, mining, distillation, quantisation, export. Never shipped."""
