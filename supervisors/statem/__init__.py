"""State machines with OTP's meaning (gen_statem): pure engine, thin actor."""

__all__: list[str] = []
