#include "hdap/core/error.hpp"
#include "hdap/network/onnx.hpp"

#include <cstdint>
#include <span>

/// Whatever the bytes, they are a sound network whose weights fit, which can be written again, or
/// they are refused by a DataError.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace hdap;
    network::PrunedNetwork model;
    try {
        model = network::decode_onnx(std::as_bytes(std::span(data, size)), "fuzz.onnx");
    } catch (const core::DataError&) {
        return 0;
    }
    network::check_weights(model.network, model.weights);
    (void)network::encode_onnx(model.network, model.weights);
    return 0;
}
