#include "fleet/devices/presets.hpp"

namespace hdap::fleet {

/// A phone of the upper middle class around 2020. What limits it is its skin, which may not get
/// warmer than a hand bears, and which nothing but air cools: three watts or so for long. So a
/// network that keeps the GPU busy takes about twice as long after half an hour: published, 203 ms
/// became 423 ms.
DeviceModel phone() {
    DeviceModel model;
    model.sku = "phone";
    // 768 lanes, 2 fp16 MACs per cycle each, 585 MHz.
    model.peak_macs_per_s = 768 * 2 * 585e6;
    // LPDDR4X of 2133 MHz, 4 channels of 16 bits.
    model.bandwidth_gb_s = 34.1;
    // Queues of OpenCL or Vulkan.
    model.launch_overhead_us = 40.0;
    model.channel_padding = 4; // textures of RGBA
    model.efficiency = {0.30, 0.10, 0.20, 0.10, 0.10};
    model.bandwidth_efficiency = 0.55; // which the display and the CPU share
    model.power_modes = {{"normal", 1.0, 1.0, 1.0, 7.0},
                         {"battery_saver", 0.6, 1555.0 / 2133.0, 1.4, 3.5}};
    model.power = {.idle_w = 0.6, // the display is dark
                   .leakage_w = 0.2,
                   .leakage_per_k = 0.012,
                   .clock_w = 1.0,
                   .pj_per_mac = 9.0,
                   .pj_per_byte = 45.0,
                   .lowest_voltage = 0.55,
                   .lowest_clock = 0.2, // about 120 MHz of 585
                   // A flat body of 150 cm² on both sides loses about 1 W for every 7 to 8 K of
                   // its skin above a room.
                   .thermal_resistance_k_w = 7.5,
                   .temperature_limit_c = 44.0};
    return model;
}

} // namespace hdap::fleet
