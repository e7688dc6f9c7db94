"""NVIDIA's management library (NVML) by ctypes: the names of a machine's GPUs, and the energy they have used."""

import ctypes
from functools import cache

NAME_LENGTH = 96  # NVML_DEVICE_NAME_V2_BUFFER_SIZE


@cache
def _library() -> ctypes.CDLL | None:
    """The library, initialised; none where there is no driver."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    return library if library.nvmlInit_v2() == 0 else None


def _devices(library: ctypes.CDLL) -> list[ctypes.c_void_p]:
    count = ctypes.c_uint()
    if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
        return []
    devices = [ctypes.c_void_p() for _ in range(count.value)]
    return [
        device
        for number, device in enumerate(devices)
        if library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(number), ctypes.byref(device)) == 0
    ]


def gpu_names() -> list[str]:
    """Name of each GPU; empty without any."""
    library = _library()
    names = []
    for device in _devices(library) if library else []:
        text = ctypes.create_string_buffer(NAME_LENGTH)
        if library and library.nvmlDeviceGetName(device, text, ctypes.c_uint(NAME_LENGTH)) == 0:
            names.append(text.value.decode(errors="replace"))
    return names


def gpu_joules() -> float | None:
    """Energy that all GPUs have used since their driver was loaded; none where one cannot say."""
    library = _library()
    if library is None:
        return None
    devices = _devices(library)
    total = 0
    for device in devices:
        millijoules = ctypes.c_ulonglong()
        if library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(millijoules)) != 0:
            return None
        total += millijoules.value
    return total / 1000 if devices else None
