"""The classical compressors, one file a format. Each is a frozen dataclass whose fields are the format's options.

The default of each codec is its strongest ordinary level. All are deterministic: no time stamp, no file name.
"""
