#include "fleet/devices/presets.hpp"

namespace hdap::fleet {

/// A Quadro RTX 5000 of a cluster (Turing, 12 nm): 384 tensor cores of 64 fp16 MACs per cycle,
/// 1815 MHz, 448 GB/s of GDDR6, 230 W, by NVIDIA's data sheet. Its power limit is what heavy
/// networks meet first, and chips that take more power then run slower: on such networks alone.
DeviceModel server_gpu() {
    DeviceModel model;
    model.sku = "server_gpu";
    model.peak_macs_per_s = 384 * 64 * 1815e6;
    model.bandwidth_gb_s = 448.0;
    model.launch_overhead_us = 4.0;
    model.channel_padding = 8;
    model.efficiency = {0.58, 0.015, 0.27, 0.015, 0.015};
    model.bandwidth_efficiency = 0.80;
    // The second is what operators set by `nvidia-smi -pl` where racks are short of power.
    model.power_modes = {{"230W", 1.0, 1.0, 1.0, 230.0}, {"165W", 1.0, 1.0, 1.0, 165.0}};
    model.power = {.idle_w = 20.0,
                   .leakage_w = 18.0,
                   .leakage_per_k = 0.008,
                   .clock_w = 45.0,
                   .pj_per_mac = 9.0,
                   .pj_per_byte = 125.0,
                   .lowest_voltage = 0.6,
                   .lowest_clock = 0.165,          // 300 MHz of 1815
                   .thermal_resistance_k_w = 0.22, // 75 °C at 230 W in air of 25 °C
                   .temperature_limit_c = 89.0};
    return model;
}

} // namespace hdap::fleet
