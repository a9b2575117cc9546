"""The HTML report and the model card, made from what the stages wrote."""
