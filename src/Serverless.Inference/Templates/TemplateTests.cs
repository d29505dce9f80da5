namespace Serverless.Inference.Templates;

/// <summary>What follows <c>is</c>.</summary>
internal static class TemplateTests
{
    public static bool Holds(TemplateBudget budget, string name, object? value, List<object?> arguments) => name switch
    {
        "defined" => value is not Undefined,
        "undefined" => value is Undefined,
        "none" => value is null or NoContent,
        "string" => value is TemplateText,
        "mapping" => value is IDictionary<string, object?>,
        "sequence" => value is List<object?> or TemplateText or IDictionary<string, object?>,
        "iterable" => value is List<object?> or TemplateText or IDictionary<string, object?>,
        "number" => value is long or double,
        "integer" => value is long,
        "float" => value is double,
        "boolean" => value is bool,
        "true" => value is true,
        "false" => value is false,
        "callable" => value is TemplateCall,
        "odd" => value is long odd && odd % 2 != 0,
        "even" => value is long even && even % 2 == 0,
        "divisibleby" => value is long number && arguments is [long divisor] && divisor != 0 && number % divisor == 0,
        "in" => arguments is [var container] && Values.Contains(budget, container, value),
        "equalto" or "eq" or "sameas" => arguments is [var other] && Values.AreEqual(budget, value, other),
        "ne" => arguments is [var other] && !Values.AreEqual(budget, value, other),
        "gt" or "greaterthan" => arguments is [var other] && Values.Order(budget, value, other) > 0,
        "lt" or "lessthan" => arguments is [var other] && Values.Order(budget, value, other) < 0,
        "lower" => value is TemplateText text && !text.Value.Any(char.IsUpper),
        "upper" => value is TemplateText text && !text.Value.Any(char.IsLower),
        _ => throw budget.Fault($"the test '{name}' is not known"),
    };
}
