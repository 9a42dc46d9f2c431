#include "fleet/devices/presets.hpp"

namespace hdap::fleet {

// Clocks, bandwidths, modes and limits are NVIDIA's published ones (module data sheets, the tables
// of nvpmodel in the developer guides, thermal design guides). Efficiencies and overheads are set
// so that ResNet50 takes about as long as published TensorRT fp16 runs; those of Orin Nano so that
// its memory clock changes latencies as published. Power is an estimate: each mode's clocks keep to
// its budget, which is how NVIDIA chose them, with energies of MACs and bytes of the order that is
// known of 12, 20 and 8 nm chips and of LPDDR4 and LPDDR5 (Horowitz, ISSCC 2014).

DeviceModel jetson_xavier_nx() {
    DeviceModel model;
    model.sku = "jetson_xavier_nx";
    // 48 tensor cores, 64 fp16 MACs per cycle each, 1100 MHz.
    model.peak_macs_per_s = 48 * 64 * 1100e6;
    model.bandwidth_gb_s = 51.2;
    model.launch_overhead_us = 8.0;
    model.channel_padding = 8;
    // Depthwise layers cannot use tensor cores.
    model.efficiency = {0.40, 0.02, 0.25, 0.02, 0.02};
    model.bandwidth_efficiency = 0.75;
    model.power_modes = {{"15W", 1.0, 1.0, 1.0, 15.0},
                         {"10W", 800.0 / 1100.0, 1600.0 / 1866.0, 1.15, 10.0},
                         {"20W", 1.0, 1.0, 0.85, 20.0}};
    model.power = {.idle_w = 3.2,
                   .leakage_w = 0.8,
                   .leakage_per_k = 0.01,
                   .clock_w = 2.5,
                   .pj_per_mac = 2.5,
                   .pj_per_byte = 40.0,
                   .lowest_voltage = 0.6,
                   .lowest_clock = 0.1,           // 114 MHz of 1100
                   .thermal_resistance_k_w = 3.0, // the developer kit's heat sink and fan
                   .temperature_limit_c = 90.0};
    return model;
}

DeviceModel jetson_nano() {
    DeviceModel model;
    model.sku = "jetson_nano";
    // 128 Maxwell cores, 2 fp16 MACs per cycle each, 921.6 MHz.
    model.peak_macs_per_s = 128 * 2 * 921.6e6;
    model.bandwidth_gb_s = 25.6;
    model.launch_overhead_us = 20.0;
    model.channel_padding = 2;
    model.efficiency = {0.65, 0.15, 0.50, 0.15, 0.15};
    model.bandwidth_efficiency = 0.70;
    model.power_modes = {{"MAXN", 1.0, 1.0, 1.0, 10.0},
                         {"5W", 640.0 / 921.6, 1.0, 1479.0 / 918.0, 5.0}};
    model.power = {.idle_w = 1.2,
                   .leakage_w = 0.3,
                   .leakage_per_k = 0.01,
                   .clock_w = 1.2,
                   .pj_per_mac = 15.0,
                   .pj_per_byte = 50.0,
                   .lowest_voltage = 0.6,
                   .lowest_clock = 0.083,         // 76.8 MHz of 921.6
                   .thermal_resistance_k_w = 7.0, // the heat sink without a fan
                   .temperature_limit_c = 97.0};
    return model;
}

DeviceModel jetson_orin_nano() {
    DeviceModel model;
    model.sku = "jetson_orin_nano";
    // 32 tensor cores, 256 fp16 MACs per cycle each, 1020 MHz ("Super"; 625 MHz before).
    model.peak_macs_per_s = 32 * 256 * 1020e6;
    model.bandwidth_gb_s = 102.4;
    model.launch_overhead_us = 5.0;
    model.channel_padding = 8;
    model.efficiency = {0.50, 0.06, 0.25, 0.06, 0.06};
    model.bandwidth_efficiency = 0.70;
    // Memory of the modes before "Super": 2133 of 3199 MHz.
    constexpr double slow_memory = 2133.0 / 3199.0;
    model.power_modes = {{"25W", 918.0 / 1020.0, 1.0, 1.0, 25.0},
                         {"15W", 612.0 / 1020.0, slow_memory, 1728.0 / 1498.0, 15.0},
                         {"7W", 408.0 / 1020.0, slow_memory, 1728.0 / 960.0, 7.0}};
    model.power = {.idle_w = 2.4,
                   .leakage_w = 0.8,
                   .leakage_per_k = 0.01,
                   .clock_w = 3.0,
                   .pj_per_mac = 2.8,
                   .pj_per_byte = 35.0,
                   .lowest_voltage = 0.6,
                   .lowest_clock = 0.3,           // 306 MHz of 1020
                   .thermal_resistance_k_w = 2.8, // the developer kit's heat sink and fan
                   .temperature_limit_c = 99.0};
    return model;
}

} // namespace hdap::fleet
