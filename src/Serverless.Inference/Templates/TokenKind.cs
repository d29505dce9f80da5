namespace Serverless.Inference.Templates;

/// <summary>Kinds of <see cref="TemplateToken"/>.</summary>
internal enum TokenKind
{
    /// <summary>Text outside of tags.</summary>
    Data,

    /// <summary><c>{{</c>.</summary>
    ExpressionStart,

    /// <summary><c>}}</c>.</summary>
    ExpressionEnd,

    /// <summary><c>{%</c>.</summary>
    StatementStart,

    /// <summary><c>%}</c>.</summary>
    StatementEnd,

    /// <summary>A name or keyword.</summary>
    Name,

    /// <summary>A string.</summary>
    Text,

    /// <summary>A number.</summary>
    Number,

    /// <summary>An operator or bracket.</summary>
    Operator,

    /// <summary>The end of the source.</summary>
    End,
}
