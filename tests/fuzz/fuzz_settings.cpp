#include "hdap/core/error.hpp"
#include "hdap/study/settings.hpp"

#include <string>

/// Whatever the text, loading gives settings that print and read back the same, or a ConfigError.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    hdap::study::Settings settings;
    const auto load = [](const std::string& toml, hdap::study::Settings& into) {
        hdap::core::load_settings(hdap::study::configuration_of(into), toml, "fuzz.toml", {});
    };
    try {
        load(text, settings);
    } catch (const hdap::core::ConfigError&) {
        return 0;
    }
    const std::string printed = hdap::study::settings_text(settings);
    hdap::study::Settings copy;
    load(printed, copy);
    if (hdap::study::settings_text(copy) != printed) __builtin_trap();
    return 0;
}
