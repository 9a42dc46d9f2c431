#include "imported.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using namespace hdap::fleet;
using namespace hdap::fleet::test;

namespace {

std::string event(const std::string& name, const std::string& duration) {
    return "{\"cat\" : \"Session\",\"pid\" :7,\"tid\" :8,\"dur\" :" + duration +
           ",\"ts\" :16433,\"ph\" : \"X\",\"name\" :\"" + name +
           "\",\"args\" : {\"op_name\" : \"\", \"input_type_shape\" : [{\"float\":[1,2]}]}}";
}

std::string profile(const std::vector<std::string>& runs_us) {
    std::string text = "[\n" + event("model_loading_uri", "100");
    for (const std::string& run : runs_us)
        text += ",\n" + event("conv_kernel_time", "5") + ",\n" + event("model_run", run);
    return text;
}

} // namespace

TEST_CASE("ONNX Runtime: profiles without usable runs are refused") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {profile({}) + "]", "no event model_run"},
        {profile({"5000"}) + "]", "all 1 inference are left out as warm-up"},
        {profile({"5", "0", "-1", "\"x\"", "null"}), "4 of 5 lines cannot be used"},
        {profile({"5", "1e999"}), "is no JSON here"},
    };
    for (const auto& [text, message] : cases) {
        CHECK_THROWS_AS(imported(text), core::DataError);
        CHECK_THROWS_WITH(imported(text), Catch::Contains(message));
    }
    CHECK_THROWS_AS(imported(profile({"5", "5"}), with_warm_up("200ms")), core::UsageError);
}

TEST_CASE("ONNX Runtime: the median of the runs behind the first, with or without the bracket") {
    for (const std::string end : {"]", "\n", ",\n", "]\n"}) {
        const Imported result = imported(profile({"90000", "2000", "4000"}) + end);
        CHECK(result.latency_ms() == 3.0);
        CHECK(result.report.runs == 2);
        CHECK(result.report.rejected_rows == 0);
        CHECK(result.report.doubts.empty());
        CHECK(result.fleet.origins[0].warm_up == "the first inference");
    }
    CHECK(imported(profile({"9", "8", "2000"}), with_warm_up("2")).latency_ms() == 2.0);
    CHECK(imported(profile({"2000"}), with_warm_up("0")).latency_ms() == 2.0);
}

TEST_CASE("ONNX Runtime: an event that is cut is told, the others are used") {
    const Imported cut = imported(profile({"9000", "2000"}) + ",\n{\"cat\" : \"Se");
    CHECK(cut.latency_ms() == 2.0);
    CHECK_THAT(cut.all_doubts(), Catch::Contains("in the middle of an event"));
}
