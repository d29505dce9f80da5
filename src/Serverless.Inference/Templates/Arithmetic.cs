using System.Globalization;

namespace Serverless.Inference.Templates;

/// <summary>Python's <c>+ - * / // % **</c> and Jinja's <c>~</c>.</summary>
internal static class Arithmetic
{
    public static object? Apply(TemplateBudget budget, string name, object? left, object? right)
    {
        budget.Pay(32);
        switch (name, left, right)
        {
            case ("~", _, _):
                return TemplateText.Concat(budget, Values.Text(budget, left), Values.Text(budget, right));
            case ("+", TemplateText { IsMarkup: true } a, TemplateText b):
                return TemplateText.Concat(budget, a, b.IsMarkup ? b : TemplateFilters.Escape(budget, b)).AsMarkup();
            case ("+", TemplateText or NoContent, TemplateText or NoContent):
                return TemplateText.Concat(budget, Values.Text(budget, left), Values.Text(budget, right));
            case ("+", List<object?> a, List<object?> b):
                budget.PayItems((long)a.Count + b.Count);
                return (List<object?>)[.. a, .. b];
            case ("*", TemplateText a, long times):
                return Repeat(budget, a, times);
            case ("*", long times, TemplateText a):
                return Repeat(budget, a, times);
            case ("%", TemplateText format, _):
                return TemplateFormat.Percent(budget, format, right is List<object?> several ? several : [right], right as IDictionary<string, object?>);
            case ("+" or "-" or "*" or "//" or "%" or "**", bool or long, bool or long):
                return Whole(budget, name, Convert.ToInt64(left, CultureInfo.InvariantCulture), Convert.ToInt64(right, CultureInfo.InvariantCulture));
            case (_, bool or long or double, bool or long or double):
                return Fraction(budget, name, Values.Double(left), Values.Double(right));
            default:
                throw budget.Fault($"{name} is not defined for {Values.Kind(left)} and {Values.Kind(right)}");
        }
    }

    private static TemplateText Repeat(TemplateBudget budget, TemplateText text, long times)
    {
        // The product is paid for before it is built; a count beyond all budgets must not overflow on the way there.
        var count = Math.Clamp(times, 0, int.MaxValue);
        budget.Pay(count * (16 + (2L * text.Length)));
        return TemplateText.Concat(budget, [.. Enumerable.Repeat(text, (int)count)]);
    }

    private static long Whole(TemplateBudget budget, string name, long left, long right)
    {
        if (right == 0 && name is "//" or "%") throw budget.Fault("a number is divided by 0");
        return name switch
        {
            "+" => left + right,
            "-" => left - right,
            "*" => left * right,
            "//" => (long)Math.Floor((double)left / right),
            "%" => ((left % right) + right) % right,
            _ => (long)Math.Pow(left, right),
        };
    }

    private static double Fraction(TemplateBudget budget, string name, double left, double right)
    {
        if (right == 0 && name is "/" or "//" or "%") throw budget.Fault("a number is divided by 0");
        return name switch
        {
            "+" => left + right,
            "-" => left - right,
            "*" => left * right,
            "/" => left / right,
            "//" => Math.Floor(left / right),
            "**" => Math.Pow(left, right),
            _ => left - (right * Math.Floor(left / right)),
        };
    }
}
