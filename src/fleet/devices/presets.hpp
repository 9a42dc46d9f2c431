#pragma once

#include "hdap/fleet/device_model.hpp"

namespace hdap::fleet {

// The device presets, by family. device_model.cpp has the table.

DeviceModel jetson_xavier_nx();
DeviceModel jetson_nano();
DeviceModel jetson_orin_nano();
DeviceModel phone();
DeviceModel server_gpu();

} // namespace hdap::fleet
