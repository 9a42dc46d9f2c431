#pragma once

namespace hdap::fleet {

/// What is measured of a network on a device.
enum class Quantity {
    latency, ///< of an inference on a device that is not heated up, in ms
    /// Of an inference under continuous load, once the device is as hot as that makes it, in ms.
    sustained_latency,
};

} // namespace hdap::fleet
