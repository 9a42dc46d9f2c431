#include "hdap/core/error.hpp"
#include "hdap/study/settings.hpp"

#include <string>

/// Whatever the text, loading gives settings that print and read back the same, or a ConfigError.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    hdap::study::Settings settings;
    try {
        settings = hdap::study::parse_settings(text, "fuzz.toml");
    } catch (const hdap::core::ConfigError&) {
        return 0;
    }
    const std::string printed = hdap::study::settings_text(settings);
    const auto copy = hdap::study::parse_settings(printed, "printed.toml");
    if (hdap::study::settings_text(copy) != printed) __builtin_trap();
    return 0;
}
