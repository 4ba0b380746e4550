"""What does a LiveKit call gain and cost, beside a stock session in the same run?"""
