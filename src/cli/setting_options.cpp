#include "setting_options.hpp"

#include "option_checks.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <variant>

namespace hdap::cli {
namespace {

/// "min_points" without dashes in front: "min-points".
std::string option_name(std::string key) {
    std::replace(key.begin(), key.end(), '_', '-');
    return key;
}

CLI::Validator above(double minimum) {
    return {[minimum](std::string& text) {
                double value = 0.0;
                return CLI::detail::lexical_cast(text, value) && value > minimum
                           ? std::string()
                           : fmt::format("'{}' is not above {}", text, minimum);
            },
            ""};
}

/// Adds the option of one setting.
class OptionMaker {
  public:
    OptionMaker(CLI::App& command, const core::Setting& setting)
        : command_(command), name_(option_name(setting.key)), comment_(setting.comment) {}

    void operator()(const core::IntegerField& field) const { add_number(field); }
    void operator()(const core::RealField& field) const { add_number(field); }

    void operator()(const core::BooleanField& field) const {
        command_.add_flag(fmt::format("--{0},!--no-{0}", name_), *field.value,
                          fmt::format("{} (default: {})", comment_, *field.value ? "yes" : "no"));
    }

    void operator()(const core::TextField& field) const {
        CLI::Option* option = add(*field.value);
        if (!field.choices.empty()) option->check(CLI::IsMember(field.choices));
    }

    void operator()(const core::PathField& field) const { add(*field.value); }

    void operator()(const core::TextListField& field) const { add(*field.value)->delimiter(','); }

    void operator()(const core::RealListField& field) const {
        restrict(add(*field.value)->delimiter(',')->allow_extra_args(false), field.range);
    }

    void operator()(const core::ChoiceField& field) const {
        const auto choose = [field](const std::string& name) {
            const auto found = std::find(field.names.begin(), field.names.end(), name);
            field.set(static_cast<std::size_t>(found - field.names.begin()));
        };
        command_.add_option_function<std::string>("--" + name_, choose, comment_)
            ->check(CLI::IsMember(field.names))
            ->default_str(field.names[field.get()]);
    }

  private:
    template <class Value>
    CLI::Option* add(Value& value) const {
        return command_.add_option("--" + name_, value, comment_)->capture_default_str();
    }

    template <class Field>
    void add_number(const Field& field) const {
        restrict(add(*field.value), field.range);
    }

    template <class Range>
    static void restrict(CLI::Option* option, const Range& range) {
        const auto minimum = static_cast<double>(range.minimum);
        option->check(within(minimum, static_cast<double>(range.maximum)));
        if (range.open_minimum) option->check(above(minimum));
    }

    CLI::App& command_;
    std::string name_;
    std::string comment_;
};

} // namespace

void add_setting_options(CLI::App& command, const std::vector<core::Setting>& settings) {
    for (const core::Setting& setting : settings)
        std::visit(OptionMaker(command, setting), setting.field);
}

} // namespace hdap::cli
